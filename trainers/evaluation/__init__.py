"""What a trained run says of a text, and of prompts: scores, samples, nearest words."""
