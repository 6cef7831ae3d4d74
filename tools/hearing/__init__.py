"""What `tools.hear_eval` is made of: recordings and mixtures, the pipeline in audio time, figures."""
