"""Running services that take the place of deployed variants, as the command line names them."""
