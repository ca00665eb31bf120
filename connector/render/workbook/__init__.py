"""A report and what belongs to it → one Excel workbook whose ratios are live formulas.

Comes in: ``reports.page.WorkbookContents``. Goes out: the bytes of an .xlsx file. Needs
the extra ``xlsx``. Read ``workbook`` first, then ``window``, where the formulas are.
"""
