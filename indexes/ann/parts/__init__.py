"""Parts of Faiss families, one module a part, with an entry ``PART``; the first line of a module says what the part does."""
