"""Getting the data sets: what there is, how one gets it, and whether what arrived is whole."""
