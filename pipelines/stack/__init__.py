"""What runs beside the pipeline on this machine: MLflow's server, Prefect's server and a worker (`docs/operations.md`)."""
