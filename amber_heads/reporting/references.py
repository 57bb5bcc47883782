"""What a protocol may cite, as BibTeX: the method, corpora, encoders, metrics and tests."""

from __future__ import annotations

from collections.abc import Iterable

#: By key: kind and fields, in the order they are written.
REFERENCES: dict[str, tuple[str, dict[str, str]]] = {
    "wu2026amber2": ("inproceedings", {
        "author": "Jingyao Wu and Grace Lin and Yinuo Song and Rosalind Picard",
        "title": "{AmbER$^2$}: Dual Ambiguity-Aware Emotion Recognition Applied to Speech and Text",
        "booktitle": "ICASSP", "year": "2026", "note": "arXiv:2601.18010"}),
    "busso2008iemocap": ("article", {
        "author": "Carlos Busso and Murtaza Bulut and Chi-Chun Lee and Abe Kazemzadeh and Emily "
                  "Mower and Samuel Kim and Jeannette N. Chang and Sungbok Lee and Shrikanth S. "
                  "Narayanan",
        "title": "{IEMOCAP}: Interactive emotional dyadic motion capture database",
        "journal": "Language Resources and Evaluation", "volume": "42", "number": "4",
        "pages": "335--359", "year": "2008"}),
    "lotfian2017msp": ("article", {
        "author": "Reza Lotfian and Carlos Busso",
        "title": "Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional "
                 "Speech from Existing Podcast Recordings",
        "journal": "IEEE Transactions on Affective Computing", "volume": "10", "number": "4",
        "pages": "471--483", "year": "2017"}),
    "cao2014cremad": ("article", {
        "author": "Houwei Cao and David G. Cooper and Michael K. Keutmann and Ruben C. Gur and Ani "
                  "Nenkova and Ragini Verma",
        "title": "{CREMA-D}: Crowd-Sourced Emotional Multimodal Actors Dataset",
        "journal": "IEEE Transactions on Affective Computing", "volume": "5", "number": "4",
        "pages": "377--390", "year": "2014"}),
    "baevski2020wav2vec": ("inproceedings", {
        "author": "Alexei Baevski and Yuhao Zhou and Abdelrahman Mohamed and Michael Auli",
        "title": "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations",
        "booktitle": "Advances in Neural Information Processing Systems", "volume": "33",
        "pages": "12449--12460", "year": "2020"}),
    "devlin2019bert": ("inproceedings", {
        "author": "Jacob Devlin and Ming-Wei Chang and Kenton Lee and Kristina Toutanova",
        "title": "{BERT}: Pre-training of Deep Bidirectional Transformers for Language "
                 "Understanding",
        "booktitle": "NAACL-HLT", "pages": "4171--4186", "year": "2019"}),
    "wu2024emosuperb": ("misc", {
        "author": "Haibin Wu and Huang-Cheng Chou and Kai-Wei Chang and Lucas Goncalves and Jiawei "
                  "Du and Jyh-Shing Roger Jang and Chi-Chun Lee and Hung-Yi Lee",
        "title": "{EMO-SUPERB}: An In-depth Look at Speech Emotion Recognition", "year": "2024",
        "note": "arXiv:2402.13018"}),
    "hong2025aerllm": ("inproceedings", {
        "author": "Xin Hong and Yuan Gong and Vidhyasaharan Sethu and Ting Dang",
        "title": "{AER-LLM}: Ambiguity-aware Emotion Recognition Leveraging Large Language Models",
        "booktitle": "ICASSP", "year": "2025", "note": "arXiv:2409.18339"}),
    "chua2025entropy": ("misc", {
        "author": "ChenYi Chua and JunKai Wong and Chengxin Chen and Xiaoxiao Miao",
        "title": "Speech Emotion Recognition via Entropy-Aware Score Selection", "year": "2025",
        "note": "arXiv:2508.20796"}),
    "cui2019class": ("inproceedings", {
        "author": "Yin Cui and Menglin Jia and Tsung-Yi Lin and Yang Song and Serge Belongie",
        "title": "Class-Balanced Loss Based on Effective Number of Samples", "booktitle": "CVPR",
        "pages": "9268--9277", "year": "2019"}),
    "loshchilov2019adamw": ("inproceedings", {
        "author": "Ilya Loshchilov and Frank Hutter",
        "title": "Decoupled Weight Decay Regularization", "booktitle": "ICLR", "year": "2019"}),
    "lin1991divergence": ("article", {
        "author": "Jianhua Lin", "title": "Divergence Measures Based on the {Shannon} Entropy",
        "journal": "IEEE Transactions on Information Theory", "volume": "37", "number": "1",
        "pages": "145--151", "year": "1991"}),
    "brier1950verification": ("article", {
        "author": "Glenn W. Brier",
        "title": "Verification of Forecasts Expressed in Terms of Probability",
        "journal": "Monthly Weather Review", "volume": "78", "number": "1", "pages": "1--3",
        "year": "1950"}),
    "stephenson2008brier": ("article", {
        "author": "David B. Stephenson and Caio A. S. Coelho and Ian T. Jolliffe",
        "title": "Two Extra Components in the {Brier} Score Decomposition",
        "journal": "Weather and Forecasting", "volume": "23", "number": "4", "pages": "752--757",
        "year": "2008"}),
    "guo2017calibration": ("inproceedings", {
        "author": "Chuan Guo and Geoff Pleiss and Yu Sun and Kilian Q. Weinberger",
        "title": "On Calibration of Modern Neural Networks", "booktitle": "ICML",
        "pages": "1321--1330", "year": "2017"}),
    "geifman2017selective": ("inproceedings", {
        "author": "Yonatan Geifman and Ran El-Yaniv",
        "title": "Selective Classification for Deep Neural Networks",
        "booktitle": "Advances in Neural Information Processing Systems", "volume": "30",
        "year": "2017"}),
    "holm1979simple": ("article", {
        "author": "Sture Holm", "title": "A Simple Sequentially Rejective Multiple Test Procedure",
        "journal": "Scandinavian Journal of Statistics", "volume": "6", "number": "2",
        "pages": "65--70", "year": "1979"}),
}  # fmt: skip

#: A corpus's reference, by the name that its reader has.
OF_CORPUS = {
    "iemocap": "busso2008iemocap",
    "msp-podcast": "lotfian2017msp",
    "crema-d": "cao2014cremad",
}

#: A metric's source, where it has one.
OF_METRIC = {
    "js": "lin1991divergence",
    "bc": "wu2026amber2",
    "f1": "wu2026amber2",
    "wf1": "wu2026amber2",
    "acc": "wu2026amber2",
    "r2": "hong2025aerllm",
    "js_aer": "hong2025aerllm",
    "ece_hard_5": "hong2025aerllm",
    "ece_hard_15": "guo2017calibration",
    "f1_multilabel": "wu2024emosuperb",
    "brier": "brier1950verification",
}


def write_references(cited: Iterable[str]) -> str:
    """The entries of these keys as BibTeX, in the order of `REFERENCES`."""
    wanted = set(cited)
    return "\n".join(_entry(key) for key in REFERENCES if key in wanted)


def _entry(key: str) -> str:
    kind, fields = REFERENCES[key]
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
