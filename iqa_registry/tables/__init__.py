"""Tables: the columns of the score table (:mod:`schema`), reading (:mod:`reading`) and writing (:mod:`writing`)."""
