"""Stage one: a corpus is read, encoded once and kept as an HDF5 cache.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them:

    errors      what can go wrong from outside
    records     utterances and votes, as a corpus has them
    safe_files  regular files and JSON, read within bounds
    safe_hdf5   what a file asks for, before it is read
    config      flags, environment and files -> one frozen configuration
    progress    bars or plain lines on stderr
    audio       decode, cut, mix, resample
    bounds      how much a file may claim to hold
    parquet     Parquet files, if pyarrow is there
    corpora     one reader a file: demo, manifest, iemocap, msp_podcast, crema_d, audformat
    pooling     frames -> one vector
    encoders    waveforms or texts -> frames and a mask
    batching    which utterances share a batch
    store       the cache: `open_cache`, `write_cache`, `verify_cache`
    sources     what there is to encode, looked at but not decoded
    former      what a cache already has of it
    encoding    decode ahead, encode, pool
    extract     all of it together
    feature_files  files of features, one function a format
    features    read, checked, joined to utterances by id
    importing   features in place of encoders
    pseudonyms  names that stand in for names, in their order
    shared_votes    votes whose raters are hashed, or left out
    shared_cache    a cache for somebody else under the same licence
    look        the tables of a cache or a corpus, nothing encoded
"""
