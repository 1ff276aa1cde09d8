"""Other people's file formats, from bytes to values. Nothing here trusts what it reads."""
