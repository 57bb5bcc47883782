"""What others may have made, read within bounds.

Nothing is imported here; take names from their modules, which import only those above them:

    bounds      how much a file may claim to hold
    safe_files  regular files and JSON
    safe_hdf5   what an HDF5 file asks for, before it is read
    parquet     Parquet files, if pyarrow is there
"""
