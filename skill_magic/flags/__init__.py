"""extra_args: docker run's own option syntax → fields of a RunSpec."""
