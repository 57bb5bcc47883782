"""An extraction as a job: planned, recorded, resumed, shared by workers, put together.

Nothing is imported here; take names from their modules, which import only those above them:

    interrupt      signals, heard where work can be left
    lock           one command at a time
    backends       who encodes besides this process: joblib's backends
    same_settings  whether entries may stand beside one another
    wanted         which entries a command is about
    former         what a cache already has
    stamps         what a cache says of its plan
    assembly       a cache from entries read block by block
    journal        what is encoded so far
    plan           who is encoded with whom, made once
    provenance     what an entry says beyond its settings
    report         what a command tells
    heard          what is transcribed so far
    parts          what of a job one worker does
    job            a job's folder
    loading        encoders, loaded and held to the cache
    memory         a batch that does not fit, in pieces
    encoding       decode ahead, encode, pool
    recorder       writes in a thread of its own
    running        encode what a job lacks, here
    hearing        transcribe what it lacks, before that
    completion     an entry as a command leaves it
    task           what is found before anything is done
    planning       the plan, made or followed
    worker         both in a worker
    sharing        workers called, followed, taken in
    cutting        what they are given
    checking       rows made again the plain way
    finish         what a command leaves
"""
