"""Video files: probing, decoding by ordinal and presentation time, drawing."""
