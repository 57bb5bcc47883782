"""Features that somebody else computed.

Nothing is imported here; take names from their modules, which import only those above them:

    feature_files  files of features, one function a format
    features       checked, and joined to utterances by id
"""
