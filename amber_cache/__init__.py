"""Stage one: a corpus is read, encoded once and kept as an HDF5 cache.

Nothing is imported here, so that the command line starts fast; take names from their modules, which
import only those above them. What ends in a slash is a room of several modules, with its own list.

    errors          what can go wrong from outside
    records         utterances and votes, as a corpus has them
    entry_names     what an entry's name tells of its input
    progress        bars or plain lines on stderr
    files/          what others may have made, read within bounds
    configuration/  how a command comes to its settings
    config          the settings of this stage, frozen and typed
    audio           decode, cut, mix, resample
    corpora/        one reader a file
    pooling         frames -> one vector
    encoders/       waveforms or texts -> frames and a mask
    asr_models      which speech-recognition model a name means
    batching        which utterances share a batch
    storage/        the HDF5 schema, read and written
    verify          everything that is wrong with a cache
    store           the cache: `open_cache`, `write_cache`, `verify_cache`
    against         held to its corpus
    mount           whether the corpus is still there
    sources         what there is to encode, looked at but not decoded
    transcripts     what was heard, on a corpus's rows
    transcribe      what was said, by a speech-recognition model
    jobs/           planned, recorded, resumed, shared by workers
    extract         all of it together
    merge           shards of one plan, put together
    own_features/   features that somebody else computed
    importing       those in place of encoders
    recordings      files, folders and manifests without votes -> utterances
    same_encoder    an entry's encoder, known again
    embed           by that, new material -> vectors: stage two's door to the encoders
    shared/         a cache for somebody else under the same licence
    look            the tables of a cache or a corpus, nothing encoded
"""
