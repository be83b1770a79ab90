"""What training minimizes: a loss for each family of models, and the losses over scores."""
