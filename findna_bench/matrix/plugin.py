"""What the harness itself registers, through the same entry-point group as everybody."""

from __future__ import annotations

from findna_bench.cards import ExecutorCard, MetricCard, ProtocolCard, TargetCard, hookimpl


@hookimpl
def findna_bench_executors() -> list[ExecutorCard]:
    return [
        ExecutorCard(
            name="serial",
            factory="findna_bench.matrix.executors:serial",
            summary="one model after the other in this process (default)",
            in_process=True,
        ),
        ExecutorCard(
            name="process",
            factory="findna_bench.matrix.executors:process",
            summary="each model in a child process, so that a crash or a hang fails one model x task only",
        ),
        ExecutorCard(
            name="worker",
            factory="findna_bench.matrix.job_workers:worker",
            summary="each model by a process `findna-bench worker` that was started by hand, on any machine with the same results folder",
        ),
    ]


@hookimpl
def findna_bench_targets() -> list[TargetCard]:
    return [
        TargetCard(
            name="classes",
            factory="findna_bench.targets.classes:Classes",
            summary="one of two or more classes per sequence",
        ),
        TargetCard(
            name="values",
            factory="findna_bench.targets.values:Values",
            summary="one or more numbers per sequence (regression)",
        ),
        TargetCard(
            name="labels",
            factory="findna_bench.targets.labels:Labels",
            summary="any number of labels per sequence, some of which may not be known (multilabel)",
        ),
        TargetCard(
            name="per_base",
            factory="findna_bench.targets.per_base:PerBase",
            summary="one of several states at every base of a sequence, some of which may not be known",
            of_bases=True,
        ),
    ]


@hookimpl
def findna_bench_protocols() -> list[ProtocolCard]:
    return [
        ProtocolCard(
            name="probe",
            factory="findna_bench.protocols.probe:Probe",
            summary="a linear model on frozen features: logistic regression, one per label where there are several, for numbers ridge regression",
        ),
        ProtocolCard(
            name="finetune",
            factory="findna_bench.protocols.finetune:FineTune",
            summary="encoder and head trained together (features that do not learn, such as k-mers, are probed)",
        ),
        ProtocolCard(
            name="knn",
            factory="findna_bench.protocols.knn:NearestNeighbours",
            summary="votes of the nearest training rows",
        ),
        ProtocolCard(
            name="zero_shot",
            factory="findna_bench.protocols.zero_shot:ZeroShot",
            summary="variants by likelihood, or distance of embeddings, without training; controls are fitted on other groups",
        ),
    ]


_CLASSIFICATION = "findna_bench.statistics.classification"
_REGRESSION = "findna_bench.statistics.regression"
_MULTILABEL = "findna_bench.statistics.multilabel"
_BASES = "findna_bench.statistics.bases"


@hookimpl
def findna_bench_metrics() -> list[MetricCard]:
    return [
        MetricCard(name="accuracy", factory=f"{_CLASSIFICATION}:Accuracy", summary="share of correct rows"),
        MetricCard(
            name="balanced_accuracy",
            factory=f"{_CLASSIFICATION}:BalancedAccuracy",
            summary="mean recall over the classes present",
        ),
        MetricCard(
            name="f1_macro",
            label="macro F1 %",
            factory=f"{_CLASSIFICATION}:F1Macro",
            summary="mean F1 over the classes present",
        ),
        MetricCard(
            name="f1_micro",
            label="micro F1 %",
            factory=f"{_CLASSIFICATION}:Accuracy",
            summary="F1 of all rows together; with one label per row, the accuracy",
        ),
        MetricCard(
            name="mcc",
            label="MCC x100",
            factory=f"{_CLASSIFICATION}:MCC",
            summary="Matthews' correlation coefficient, for several classes R_K",
            reference="Gorodkin 2004",
        ),
        MetricCard(
            name="auroc",
            scale_free=True,
            label="AUROC %",
            factory=f"{_CLASSIFICATION}:AUROC",
            summary="area under the ROC curve; for several classes the mean of one against the rest",
        ),
        MetricCard(
            name="auprc",
            scale_free=True,
            label="AUPRC %",
            factory=f"{_CLASSIFICATION}:AUPRC",
            summary="average precision; for several classes the mean of one against the rest",
        ),
        MetricCard(
            name="log_loss",
            label="log loss x100",
            factory=f"{_CLASSIFICATION}:LogLoss",
            summary="mean cross-entropy in nats",
            higher_is_better=False,
        ),
        MetricCard(
            name="brier_score",
            label="Brier score x100",
            factory=f"{_CLASSIFICATION}:BrierScore",
            summary="mean squared error of the probabilities",
            reference="Brier 1950",
            higher_is_better=False,
        ),
        MetricCard(
            name="expected_calibration_error",
            label="calibration error %",
            factory=f"{_CLASSIFICATION}:ExpectedCalibrationError",
            summary="mean gap between confidence and accuracy over 15 bins of confidence",
            reference="Guo et al. 2017",
            higher_is_better=False,
        ),
        MetricCard(
            name="precision",
            factory=f"{_CLASSIFICATION}:Precision",
            summary="precision:CLASS, of the rows predicted as CLASS the share that is of it",
            per_class=True,
        ),
        MetricCard(
            name="recall",
            factory=f"{_CLASSIFICATION}:Recall",
            summary="recall:CLASS, of the rows of CLASS the share that is predicted as it",
            per_class=True,
        ),
        MetricCard(
            name="f1", label="F1 %", factory=f"{_CLASSIFICATION}:F1", summary="f1:CLASS, F1 of CLASS", per_class=True
        ),
        MetricCard(
            name="spearman",
            scale_free=True,
            label="Spearman x100",
            factory=f"{_REGRESSION}:Spearman",
            summary="rank correlation, mean over outputs",
            targets=("values",),
        ),
        MetricCard(
            name="pearson",
            scale_free=True,
            label="Pearson x100",
            factory=f"{_REGRESSION}:Pearson",
            summary="correlation, mean over outputs",
            targets=("values",),
        ),
        MetricCard(
            name="r2",
            label="R2 x100",
            factory=f"{_REGRESSION}:R2",
            summary="share of the variance that is explained, mean over outputs",
            targets=("values",),
        ),
        MetricCard(
            name="rmse",
            label="RMSE",
            factory=f"{_REGRESSION}:RMSE",
            summary="root of the mean squared error in units of the values, mean over outputs",
            targets=("values",),
            higher_is_better=False,
            scale=1.0,
        ),
        MetricCard(
            name="mae",
            label="MAE",
            factory=f"{_REGRESSION}:MAE",
            summary="mean absolute error in units of the values, mean over outputs",
            targets=("values",),
            higher_is_better=False,
            scale=1.0,
        ),
        MetricCard(
            name="auroc_macro",
            label="macro AUROC %",
            factory=f"{_MULTILABEL}:AUROCMacro",
            summary="area under the ROC curve, mean over the labels that some rows have and some have not",
            targets=("labels",),
        ),
        MetricCard(
            name="auprc_macro",
            label="macro AUPRC %",
            factory=f"{_MULTILABEL}:AUPRCMacro",
            summary="average precision, mean over the same labels",
            targets=("labels",),
        ),
        MetricCard(
            name="auroc_micro",
            label="micro AUROC %",
            factory=f"{_MULTILABEL}:AUROCMicro",
            summary="area under the ROC curve of all labels of all rows together",
            targets=("labels",),
        ),
        MetricCard(
            name="auprc_micro",
            label="micro AUPRC %",
            factory=f"{_MULTILABEL}:AUPRCMicro",
            summary="average precision of all labels of all rows together",
            targets=("labels",),
        ),
        MetricCard(
            name="lrap",
            label="LRAP %",
            factory=f"{_MULTILABEL}:LRAP",
            summary="label ranking average precision: how far a row's labels are ranked above the others",
            targets=("labels",),
        ),
        MetricCard(
            name="label_auroc",
            label="AUROC %",
            factory=f"{_MULTILABEL}:LabelAUROC",
            summary="label_auroc:LABEL, area under the ROC curve of one label",
            targets=("labels",),
            per_class=True,
        ),
        MetricCard(
            name="label_auprc",
            label="AUPRC %",
            factory=f"{_MULTILABEL}:LabelAUPRC",
            summary="label_auprc:LABEL, average precision of one label",
            targets=("labels",),
            per_class=True,
        ),
        MetricCard(
            name="base_mcc",
            label="MCC per base x100",
            factory=f"{_BASES}:BaseMCC",
            summary="Matthews' correlation coefficient of all bases, for several states R_K",
            reference="Gorodkin 2004",
            targets=("per_base",),
        ),
        MetricCard(
            name="base_f1_macro",
            label="macro F1 per base %",
            factory=f"{_BASES}:BaseF1Macro",
            summary="F1 of the bases, mean over the states present",
            targets=("per_base",),
        ),
        MetricCard(
            name="base_accuracy",
            label="accuracy per base %",
            factory=f"{_BASES}:BaseAccuracy",
            summary="share of the bases whose state is predicted",
            targets=("per_base",),
        ),
        MetricCard(
            name="base_auprc_macro",
            label="macro AUPRC per base %",
            factory=f"{_BASES}:BaseAUPRCMacro",
            summary="average precision of the bases, mean over the states that some have and some have not",
            targets=("per_base",),
        ),
        MetricCard(
            name="base_auprc",
            label="AUPRC per base %",
            factory=f"{_BASES}:BaseAUPRC",
            summary="base_auprc:STATE, average precision of the bases for one state against the rest",
            targets=("per_base",),
            per_class=True,
        ),
    ]
