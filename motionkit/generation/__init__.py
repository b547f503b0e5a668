"""From a trained model and a text to motion files."""
