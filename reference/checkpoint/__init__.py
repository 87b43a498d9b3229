"""Two tiny trained models, and the script and the text they were made from (see README.md)."""
