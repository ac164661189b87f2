"""Commands of the command line that are more than one call: recipes and the demo."""
