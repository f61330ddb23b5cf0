"""What came out, to look at and to prove: the report and the provenance."""
