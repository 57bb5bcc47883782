"""The HDF5 schema, read and written; `amber_cache.store` is its front.

Nothing is imported here; take names from their modules, which import only those above them:

    schema         groups, columns, dtypes, checksums
    tables         frozen tables of columns
    checks         what must be true of them
    files          one file, opened as untrusted
    read           its columns, checked
    sparse         a file in memory that holds what was written
    stream         vectors block by block
    write          a cache, whole or not at all
    verify_report  what is wrong with one, if anything
"""
