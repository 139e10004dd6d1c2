"""The container files: one template for Compose, the production overlay, and what the images are built from."""
