"""Training: experiments, objectives, the fit, recipes, and the programs."""
