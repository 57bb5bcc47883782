"""Tables as they are printed and stored, the paper's among them.

Nothing is imported here; take names from their modules, which import only those above them:

    rendering          a table as text, Markdown, CSV, LaTeX
    table_words        what all tables of results say alike
    interval_words     how often an interval holds the truth
    layers             the layers' weights
    published          the paper's figures, and their slips
    scores             what a table of systems shows of each
    paper_tables       Tables 1 to 5
    comparison_tables  all of a comparison as tables
"""
