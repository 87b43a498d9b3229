"""Surgery: what is cut open here changes more than one organ."""
