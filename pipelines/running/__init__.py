"""What Prefect's flows do with the stages of `dvc.yaml`: one idea a file, none of them knows what depends on what."""
