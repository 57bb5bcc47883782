"""A trained table -> systems, and what sets them apart.

Nothing is imported here; take names from their modules, which import only those above them:

    fusion_rules  trained heads -> a system's prediction
    entrants      a system's distributions out of fold
    twins         which systems are one training under two names
    anatomy       the gain over CB-CE, step by step
"""
