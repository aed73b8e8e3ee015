"""So that joblib's tests of dask find one."""
