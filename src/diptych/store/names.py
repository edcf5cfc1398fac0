"""Say how long what stands whole in an index may be, the same on every database."""

LONGEST_NAME = 2_000  # bytes of UTF-8: an index of PostgreSQL takes no more than 2,704 of a row


def bytes_beyond(text: str, most: int) -> int:
    """How many bytes a text has, if they are more than that; 0 if not."""
    size = len(text) if len(text) * 4 <= most else len(text.encode("utf-8", "surrogatepass"))
    return size if size > most else 0
