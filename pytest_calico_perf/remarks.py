"""What explains, or casts doubt on, a cell's figures, a sentence each; no remark changes an outcome."""
