"""What happens inside, told to whoever watches: the seam between the pipeline and its observers."""
