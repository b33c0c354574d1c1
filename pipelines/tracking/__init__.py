"""The record in MLflow. Nothing else in the project knows MLflow, and nothing here changes a result."""
