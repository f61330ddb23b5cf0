"""TI-RADS: the systems as data, one engine, grades with advice and reason."""
