"""What a variant costs a month. Imports calls and trial."""
