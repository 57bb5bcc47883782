"""Stage one: a corpus is read, encoded once and kept as an HDF5 cache.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them:

    errors      what can go wrong from outside
    records     utterances and votes, as a corpus has them
    safe_files  regular files and JSON, read within bounds
    safe_hdf5   what a file asks for, before it is read
    config      flags, environment and files -> one frozen configuration; config_types, _values,
                _settings and _sources are its parts
    progress    bars or plain lines on stderr
    audio       decode, cut, mix, resample
    bounds      how much a file may claim to hold
    parquet     Parquet files, if pyarrow is there
    corpora     one reader a file: demo, manifest, iemocap, msp_podcast, crema_d, audformat
    pooling     frames -> one vector
    entry_names what an entry's name tells of its input
    encoders    waveforms or texts -> frames and a mask
    asr_models  which speech-recognition model a name means
    batching    which utterances share a batch
    store       the cache: `open_cache`, `write_cache`, `verify_cache`
    mount       whether the corpus is still there
    sources     what there is to encode, looked at but not decoded
    transcripts what was heard, on a corpus's rows
    transcribe  what was said, by a speech-recognition model
    former      what a cache already has of it
    memory      a batch that does not fit, in pieces
    encoding    decode ahead, encode, pool
    heard       what a job has transcribed so far
    parts       what of a job workers do, on the disk
    backends    who they are: joblib's backends
    running     encode what a job lacks, here
    hearing     transcribe what it lacks, before that
    worker      or both in a worker
    sharing     workers called, followed and taken in
    cutting     what they are given
    finish      what a command leaves
    extract     all of it together
    feature_files  files of features, one function a format
    features    read, checked, joined to utterances by id
    importing   features in place of encoders
    recordings  files, folders and manifests without votes -> utterances
    same_encoder    an entry's encoder, known again
    embed       by an entry's own encoder, new material -> vectors: stage two's door to the encoders
    pseudonyms  names that stand in for names, in their order
    shared_votes    votes whose raters are hashed, or left out
    shared_cache    a cache for somebody else under the same licence
    look        the tables of a cache or a corpus, nothing encoded
"""
