"""What of a cache counts: votes, utterances, entries, and what must stay together.

Nothing is imported here; take names from their modules, which import only those above them:

    codes         names as whole numbers
    policy        which votes count, and for what
    subset        which utterances are asked for
    layers        which entries are layers of one encoder
    groups        sessions, speakers, dialogues: what must stay together
    clusters      what tests draw as one
    layer_choice  --layer, written out as entries
"""
