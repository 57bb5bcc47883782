"""What `amber report` writes: evidence -> plain data -> tables, figures, a page, a protocol.

Nothing is imported here; take names from their modules, which import only those above them:

    escaping     text from a corpus, made harmless in Markdown, CSV, file names and a page's data
    choices      which systems stand for which, and what floors they are held against
    scores       every metric of every system, seed by seed
    differences  each system against the reference, tested
    raters       what one more rater would score, and what a perfect model could
    ambiguity_levels  the same figures where raters, or modalities, agree and where they don't
    calibrated   reliability, Brier's parts, temperature, risk against coverage
    confusions   hard labels
    experts      whom the student was told to trust, over the raters' entropy
    searches     hyper-parameter cells
    curves       training, epoch by epoch
    utterances   the list that a reader sorts and filters
    recordings   transcripts and sound, from the cache and the corpus, only where asked for
    parts        all numbers about one test set
    contents     all numbers of a report, as plain data
    paper_rows   a part's scores as the paper's tables have them
    score_tables, difference_tables, report_tables, all_tables   that as tables
    drawing      a report's style, its figures, inline SVG
    plots, more_plots   one figure a function
    figures      all of them, with their data
    references   what may be cited, as BibTeX
    departures   where a run differs from the paper, and why
    protocol_data, protocol   the experiment in words, as Markdown
    page         one HTML file
    sections     what stands where on it
    folder       whether a place may become a report
"""
