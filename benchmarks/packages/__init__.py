"""Real packages built plainly and through gg, in the same directory, and compared byte for byte."""
