"""Independent trainings side by side, in processes or on a Dask cluster."""
