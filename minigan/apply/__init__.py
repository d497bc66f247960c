"""Pictures of any size, kind and number through a trained network."""
