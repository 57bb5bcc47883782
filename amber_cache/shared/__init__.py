"""A cache for somebody else under the same licence.

Nothing is imported here; take names from their modules, which import only those above them:

    pseudonyms    names that stand in for names, in their order
    shared_votes  votes whose raters are hashed, or left out
    shared_cache  all of it
"""
