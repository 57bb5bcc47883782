"""What is in a corpus or a cache: counts, votes, agreement, leaks.

Nothing is imported here; take names from their modules, which import only those above them:

    leaks            what its folds would leak
    vote_statistics  votes, counted
    contents         what else is there, listed
    recognition      transcripts beside the reference
    vote_agreement   how far they agree
    overview         all of it together
    vote_tables      votes as tables
    tables           all of it as tables
"""
