"""Those who propose patches: a family, one file each."""
