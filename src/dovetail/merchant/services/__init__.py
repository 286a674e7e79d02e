"""Operations of a shop that need I/O; the API and the command line share them."""
