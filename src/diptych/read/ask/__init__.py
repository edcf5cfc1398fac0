"""Answer queries from read models: by key, page by page, by words, fresh, as of a moment."""
