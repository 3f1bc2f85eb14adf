// The files of `web/`, each embedded as it lies. Made by `make web-list`; a test compares the list with the folder.
#include "web_page.h"

static const unsigned char file_0[] = {
#embed "../../web/README.md"
};

static const unsigned char file_1[] = {
#embed "../../web/app.js"
};

static const unsigned char file_2[] = {
#embed "../../web/compare/compare.js"
};

static const unsigned char file_3[] = {
#embed "../../web/compare/paired.js"
};

static const unsigned char file_4[] = {
#embed "../../web/deployments/deployments.js"
};

static const unsigned char file_5[] = {
#embed "../../web/editor/editor.js"
};

static const unsigned char file_6[] = {
#embed "../../web/editor/manifest.js"
};

static const unsigned char file_7[] = {
#embed "../../web/editor/model.js"
};

static const unsigned char file_8[] = {
#embed "../../web/editor/submit.js"
};

static const unsigned char file_9[] = {
#embed "../../web/graph/layout.js"
};

static const unsigned char file_10[] = {
#embed "../../web/graph/model.js"
};

static const unsigned char file_11[] = {
#embed "../../web/help/help.js"
};

static const unsigned char file_12[] = {
#embed "../../web/index.html"
};

static const unsigned char file_13[] = {
#embed "../../web/lib/api.js"
};

static const unsigned char file_14[] = {
#embed "../../web/lib/chart-math.js"
};

static const unsigned char file_15[] = {
#embed "../../web/lib/chart.js"
};

static const unsigned char file_16[] = {
#embed "../../web/lib/dom.js"
};

static const unsigned char file_17[] = {
#embed "../../web/lib/format.js"
};

static const unsigned char file_18[] = {
#embed "../../web/lib/keys.js"
};

static const unsigned char file_19[] = {
#embed "../../web/lib/parts.js"
};

static const unsigned char file_20[] = {
#embed "../../web/lib/phase.js"
};

static const unsigned char file_21[] = {
#embed "../../web/lib/router.js"
};

static const unsigned char file_22[] = {
#embed "../../web/lib/sheet.js"
};

static const unsigned char file_23[] = {
#embed "../../web/lib/state.js"
};

static const unsigned char file_24[] = {
#embed "../../web/lib/stream.js"
};

static const unsigned char file_25[] = {
#embed "../../web/lib/view.js"
};

static const unsigned char file_26[] = {
#embed "../../web/lib/virtual.js"
};

static const unsigned char file_27[] = {
#embed "../../web/metrics/metrics.js"
};

static const unsigned char file_28[] = {
#embed "../../web/metrics/series.js"
};

static const unsigned char file_29[] = {
#embed "../../web/models/models.js"
};

static const unsigned char file_30[] = {
#embed "../../web/pipelines/parts.js"
};

static const unsigned char file_31[] = {
#embed "../../web/pipelines/pipeline.js"
};

static const unsigned char file_32[] = {
#embed "../../web/pipelines/pipelines.js"
};

static const unsigned char file_33[] = {
#embed "../../web/runs/actions.js"
};

static const unsigned char file_34[] = {
#embed "../../web/runs/filters.js"
};

static const unsigned char file_35[] = {
#embed "../../web/runs/runs.css"
};

static const unsigned char file_36[] = {
#embed "../../web/runs/runs.js"
};

static const unsigned char file_37[] = {
#embed "../../web/schedules/backfill.js"
};

static const unsigned char file_38[] = {
#embed "../../web/schedules/cron.js"
};

static const unsigned char file_39[] = {
#embed "../../web/schedules/form.js"
};

static const unsigned char file_40[] = {
#embed "../../web/schedules/parts.js"
};

static const unsigned char file_41[] = {
#embed "../../web/schedules/schedule.js"
};

static const unsigned char file_42[] = {
#embed "../../web/schedules/schedules.js"
};

static const unsigned char file_43[] = {
#embed "../../web/settings/settings.js"
};

static const unsigned char file_44[] = {
#embed "../../web/signin/signin.js"
};

static const unsigned char file_45[] = {
#embed "../../web/style/base.css"
};

static const unsigned char file_46[] = {
#embed "../../web/style/frame.css"
};

static const unsigned char file_47[] = {
#embed "../../web/style/icons/Error.svg"
};

static const unsigned char file_48[] = {
#embed "../../web/style/icons/Failed.svg"
};

static const unsigned char file_49[] = {
#embed "../../web/style/icons/Pending.svg"
};

static const unsigned char file_50[] = {
#embed "../../web/style/icons/Running.svg"
};

static const unsigned char file_51[] = {
#embed "../../web/style/icons/Succeeded.svg"
};

static const unsigned char file_52[] = {
#embed "../../web/style/icons/Suspended.svg"
};

static const unsigned char file_53[] = {
#embed "../../web/style/icons/martlet.svg"
};

static const unsigned char file_54[] = {
#embed "../../web/style/tokens.css"
};

static const web_file files[] = {
    {"README.md", file_0, sizeof file_0},
    {"app.js", file_1, sizeof file_1},
    {"compare/compare.js", file_2, sizeof file_2},
    {"compare/paired.js", file_3, sizeof file_3},
    {"deployments/deployments.js", file_4, sizeof file_4},
    {"editor/editor.js", file_5, sizeof file_5},
    {"editor/manifest.js", file_6, sizeof file_6},
    {"editor/model.js", file_7, sizeof file_7},
    {"editor/submit.js", file_8, sizeof file_8},
    {"graph/layout.js", file_9, sizeof file_9},
    {"graph/model.js", file_10, sizeof file_10},
    {"help/help.js", file_11, sizeof file_11},
    {"index.html", file_12, sizeof file_12},
    {"lib/api.js", file_13, sizeof file_13},
    {"lib/chart-math.js", file_14, sizeof file_14},
    {"lib/chart.js", file_15, sizeof file_15},
    {"lib/dom.js", file_16, sizeof file_16},
    {"lib/format.js", file_17, sizeof file_17},
    {"lib/keys.js", file_18, sizeof file_18},
    {"lib/parts.js", file_19, sizeof file_19},
    {"lib/phase.js", file_20, sizeof file_20},
    {"lib/router.js", file_21, sizeof file_21},
    {"lib/sheet.js", file_22, sizeof file_22},
    {"lib/state.js", file_23, sizeof file_23},
    {"lib/stream.js", file_24, sizeof file_24},
    {"lib/view.js", file_25, sizeof file_25},
    {"lib/virtual.js", file_26, sizeof file_26},
    {"metrics/metrics.js", file_27, sizeof file_27},
    {"metrics/series.js", file_28, sizeof file_28},
    {"models/models.js", file_29, sizeof file_29},
    {"pipelines/parts.js", file_30, sizeof file_30},
    {"pipelines/pipeline.js", file_31, sizeof file_31},
    {"pipelines/pipelines.js", file_32, sizeof file_32},
    {"runs/actions.js", file_33, sizeof file_33},
    {"runs/filters.js", file_34, sizeof file_34},
    {"runs/runs.css", file_35, sizeof file_35},
    {"runs/runs.js", file_36, sizeof file_36},
    {"schedules/backfill.js", file_37, sizeof file_37},
    {"schedules/cron.js", file_38, sizeof file_38},
    {"schedules/form.js", file_39, sizeof file_39},
    {"schedules/parts.js", file_40, sizeof file_40},
    {"schedules/schedule.js", file_41, sizeof file_41},
    {"schedules/schedules.js", file_42, sizeof file_42},
    {"settings/settings.js", file_43, sizeof file_43},
    {"signin/signin.js", file_44, sizeof file_44},
    {"style/base.css", file_45, sizeof file_45},
    {"style/frame.css", file_46, sizeof file_46},
    {"style/icons/Error.svg", file_47, sizeof file_47},
    {"style/icons/Failed.svg", file_48, sizeof file_48},
    {"style/icons/Pending.svg", file_49, sizeof file_49},
    {"style/icons/Running.svg", file_50, sizeof file_50},
    {"style/icons/Succeeded.svg", file_51, sizeof file_51},
    {"style/icons/Suspended.svg", file_52, sizeof file_52},
    {"style/icons/martlet.svg", file_53, sizeof file_53},
    {"style/tokens.css", file_54, sizeof file_54},
};

const web_file *web_file_at(size_t index) {
    return index < sizeof files / sizeof files[0] ? &files[index] : NULL;
}
