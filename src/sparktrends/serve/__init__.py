"""What people and programs see: the REST API and its event stream, the Python client, the dashboard."""
