// The files of `web/`, each embedded as it lies. Made by `make web-list`; a test compares the list with the folder.
#include "web_page.h"

static const unsigned char file_0[] = {
#embed "../../web/app.js"
};

static const unsigned char file_1[] = {
#embed "../../web/artifacts/artifacts.css"
};

static const unsigned char file_2[] = {
#embed "../../web/artifacts/artifacts.js"
};

static const unsigned char file_3[] = {
#embed "../../web/charts/metrics.js"
};

static const unsigned char file_4[] = {
#embed "../../web/charts/series.js"
};

static const unsigned char file_5[] = {
#embed "../../web/compare/compare.css"
};

static const unsigned char file_6[] = {
#embed "../../web/compare/compare.js"
};

static const unsigned char file_7[] = {
#embed "../../web/compare/paired.js"
};

static const unsigned char file_8[] = {
#embed "../../web/compare/rows.js"
};

static const unsigned char file_9[] = {
#embed "../../web/deployments/chat.js"
};

static const unsigned char file_10[] = {
#embed "../../web/deployments/deployments.css"
};

static const unsigned char file_11[] = {
#embed "../../web/deployments/deployments.js"
};

static const unsigned char file_12[] = {
#embed "../../web/deployments/sse.js"
};

static const unsigned char file_13[] = {
#embed "../../web/editor/editor.css"
};

static const unsigned char file_14[] = {
#embed "../../web/editor/editor.js"
};

static const unsigned char file_15[] = {
#embed "../../web/editor/manifest.js"
};

static const unsigned char file_16[] = {
#embed "../../web/editor/model.js"
};

static const unsigned char file_17[] = {
#embed "../../web/editor/submit.js"
};

static const unsigned char file_18[] = {
#embed "../../web/graph/graph.css"
};

static const unsigned char file_19[] = {
#embed "../../web/graph/graph.js"
};

static const unsigned char file_20[] = {
#embed "../../web/graph/layout.js"
};

static const unsigned char file_21[] = {
#embed "../../web/graph/model.js"
};

static const unsigned char file_22[] = {
#embed "../../web/help/help.css"
};

static const unsigned char file_23[] = {
#embed "../../web/help/help.js"
};

static const unsigned char file_24[] = {
#embed "../../web/index.html"
};

static const unsigned char file_25[] = {
#embed "../../web/lib/ansi.js"
};

static const unsigned char file_26[] = {
#embed "../../web/lib/api.js"
};

static const unsigned char file_27[] = {
#embed "../../web/lib/chart-math.js"
};

static const unsigned char file_28[] = {
#embed "../../web/lib/chart.css"
};

static const unsigned char file_29[] = {
#embed "../../web/lib/chart.js"
};

static const unsigned char file_30[] = {
#embed "../../web/lib/dom.js"
};

static const unsigned char file_31[] = {
#embed "../../web/lib/format.js"
};

static const unsigned char file_32[] = {
#embed "../../web/lib/keys.js"
};

static const unsigned char file_33[] = {
#embed "../../web/lib/parts.js"
};

static const unsigned char file_34[] = {
#embed "../../web/lib/phase.js"
};

static const unsigned char file_35[] = {
#embed "../../web/lib/router.js"
};

static const unsigned char file_36[] = {
#embed "../../web/lib/sheet.js"
};

static const unsigned char file_37[] = {
#embed "../../web/lib/state.js"
};

static const unsigned char file_38[] = {
#embed "../../web/lib/stream.js"
};

static const unsigned char file_39[] = {
#embed "../../web/lib/view.js"
};

static const unsigned char file_40[] = {
#embed "../../web/lib/virtual.js"
};

static const unsigned char file_41[] = {
#embed "../../web/logs/logs.css"
};

static const unsigned char file_42[] = {
#embed "../../web/logs/logs.js"
};

static const unsigned char file_43[] = {
#embed "../../web/logs/pages.js"
};

static const unsigned char file_44[] = {
#embed "../../web/models/family.js"
};

static const unsigned char file_45[] = {
#embed "../../web/models/models.css"
};

static const unsigned char file_46[] = {
#embed "../../web/models/models.js"
};

static const unsigned char file_47[] = {
#embed "../../web/node/node.css"
};

static const unsigned char file_48[] = {
#embed "../../web/node/node.js"
};

static const unsigned char file_49[] = {
#embed "../../web/pipelines/parts.js"
};

static const unsigned char file_50[] = {
#embed "../../web/pipelines/pipeline.js"
};

static const unsigned char file_51[] = {
#embed "../../web/pipelines/pipelines.css"
};

static const unsigned char file_52[] = {
#embed "../../web/pipelines/pipelines.js"
};

static const unsigned char file_53[] = {
#embed "../../web/run/records.js"
};

static const unsigned char file_54[] = {
#embed "../../web/run/run.css"
};

static const unsigned char file_55[] = {
#embed "../../web/run/run.js"
};

static const unsigned char file_56[] = {
#embed "../../web/run/tree.js"
};

static const unsigned char file_57[] = {
#embed "../../web/run/words.js"
};

static const unsigned char file_58[] = {
#embed "../../web/runs/actions.js"
};

static const unsigned char file_59[] = {
#embed "../../web/runs/filters.js"
};

static const unsigned char file_60[] = {
#embed "../../web/runs/runs.css"
};

static const unsigned char file_61[] = {
#embed "../../web/runs/runs.js"
};

static const unsigned char file_62[] = {
#embed "../../web/schedules/backfill.js"
};

static const unsigned char file_63[] = {
#embed "../../web/schedules/form.js"
};

static const unsigned char file_64[] = {
#embed "../../web/schedules/parts.js"
};

static const unsigned char file_65[] = {
#embed "../../web/schedules/schedule.js"
};

static const unsigned char file_66[] = {
#embed "../../web/schedules/schedules.js"
};

static const unsigned char file_67[] = {
#embed "../../web/settings/settings.css"
};

static const unsigned char file_68[] = {
#embed "../../web/settings/settings.js"
};

static const unsigned char file_69[] = {
#embed "../../web/signin/signin.js"
};

static const unsigned char file_70[] = {
#embed "../../web/style/base.css"
};

static const unsigned char file_71[] = {
#embed "../../web/style/frame.css"
};

static const unsigned char file_72[] = {
#embed "../../web/style/icons/Error.svg"
};

static const unsigned char file_73[] = {
#embed "../../web/style/icons/Failed.svg"
};

static const unsigned char file_74[] = {
#embed "../../web/style/icons/Pending.svg"
};

static const unsigned char file_75[] = {
#embed "../../web/style/icons/Running.svg"
};

static const unsigned char file_76[] = {
#embed "../../web/style/icons/Succeeded.svg"
};

static const unsigned char file_77[] = {
#embed "../../web/style/icons/Suspended.svg"
};

static const unsigned char file_78[] = {
#embed "../../web/style/icons/martlet.svg"
};

static const unsigned char file_79[] = {
#embed "../../web/style/tokens.css"
};

static const unsigned char file_80[] = {
#embed "../../web/timeline/bars.js"
};

static const unsigned char file_81[] = {
#embed "../../web/timeline/timeline.css"
};

static const unsigned char file_82[] = {
#embed "../../web/timeline/timeline.js"
};

static const web_file files[] = {
    {"app.js", file_0, sizeof file_0},
    {"artifacts/artifacts.css", file_1, sizeof file_1},
    {"artifacts/artifacts.js", file_2, sizeof file_2},
    {"charts/metrics.js", file_3, sizeof file_3},
    {"charts/series.js", file_4, sizeof file_4},
    {"compare/compare.css", file_5, sizeof file_5},
    {"compare/compare.js", file_6, sizeof file_6},
    {"compare/paired.js", file_7, sizeof file_7},
    {"compare/rows.js", file_8, sizeof file_8},
    {"deployments/chat.js", file_9, sizeof file_9},
    {"deployments/deployments.css", file_10, sizeof file_10},
    {"deployments/deployments.js", file_11, sizeof file_11},
    {"deployments/sse.js", file_12, sizeof file_12},
    {"editor/editor.css", file_13, sizeof file_13},
    {"editor/editor.js", file_14, sizeof file_14},
    {"editor/manifest.js", file_15, sizeof file_15},
    {"editor/model.js", file_16, sizeof file_16},
    {"editor/submit.js", file_17, sizeof file_17},
    {"graph/graph.css", file_18, sizeof file_18},
    {"graph/graph.js", file_19, sizeof file_19},
    {"graph/layout.js", file_20, sizeof file_20},
    {"graph/model.js", file_21, sizeof file_21},
    {"help/help.css", file_22, sizeof file_22},
    {"help/help.js", file_23, sizeof file_23},
    {"index.html", file_24, sizeof file_24},
    {"lib/ansi.js", file_25, sizeof file_25},
    {"lib/api.js", file_26, sizeof file_26},
    {"lib/chart-math.js", file_27, sizeof file_27},
    {"lib/chart.css", file_28, sizeof file_28},
    {"lib/chart.js", file_29, sizeof file_29},
    {"lib/dom.js", file_30, sizeof file_30},
    {"lib/format.js", file_31, sizeof file_31},
    {"lib/keys.js", file_32, sizeof file_32},
    {"lib/parts.js", file_33, sizeof file_33},
    {"lib/phase.js", file_34, sizeof file_34},
    {"lib/router.js", file_35, sizeof file_35},
    {"lib/sheet.js", file_36, sizeof file_36},
    {"lib/state.js", file_37, sizeof file_37},
    {"lib/stream.js", file_38, sizeof file_38},
    {"lib/view.js", file_39, sizeof file_39},
    {"lib/virtual.js", file_40, sizeof file_40},
    {"logs/logs.css", file_41, sizeof file_41},
    {"logs/logs.js", file_42, sizeof file_42},
    {"logs/pages.js", file_43, sizeof file_43},
    {"models/family.js", file_44, sizeof file_44},
    {"models/models.css", file_45, sizeof file_45},
    {"models/models.js", file_46, sizeof file_46},
    {"node/node.css", file_47, sizeof file_47},
    {"node/node.js", file_48, sizeof file_48},
    {"pipelines/parts.js", file_49, sizeof file_49},
    {"pipelines/pipeline.js", file_50, sizeof file_50},
    {"pipelines/pipelines.css", file_51, sizeof file_51},
    {"pipelines/pipelines.js", file_52, sizeof file_52},
    {"run/records.js", file_53, sizeof file_53},
    {"run/run.css", file_54, sizeof file_54},
    {"run/run.js", file_55, sizeof file_55},
    {"run/tree.js", file_56, sizeof file_56},
    {"run/words.js", file_57, sizeof file_57},
    {"runs/actions.js", file_58, sizeof file_58},
    {"runs/filters.js", file_59, sizeof file_59},
    {"runs/runs.css", file_60, sizeof file_60},
    {"runs/runs.js", file_61, sizeof file_61},
    {"schedules/backfill.js", file_62, sizeof file_62},
    {"schedules/form.js", file_63, sizeof file_63},
    {"schedules/parts.js", file_64, sizeof file_64},
    {"schedules/schedule.js", file_65, sizeof file_65},
    {"schedules/schedules.js", file_66, sizeof file_66},
    {"settings/settings.css", file_67, sizeof file_67},
    {"settings/settings.js", file_68, sizeof file_68},
    {"signin/signin.js", file_69, sizeof file_69},
    {"style/base.css", file_70, sizeof file_70},
    {"style/frame.css", file_71, sizeof file_71},
    {"style/icons/Error.svg", file_72, sizeof file_72},
    {"style/icons/Failed.svg", file_73, sizeof file_73},
    {"style/icons/Pending.svg", file_74, sizeof file_74},
    {"style/icons/Running.svg", file_75, sizeof file_75},
    {"style/icons/Succeeded.svg", file_76, sizeof file_76},
    {"style/icons/Suspended.svg", file_77, sizeof file_77},
    {"style/icons/martlet.svg", file_78, sizeof file_78},
    {"style/tokens.css", file_79, sizeof file_79},
    {"timeline/bars.js", file_80, sizeof file_80},
    {"timeline/timeline.css", file_81, sizeof file_81},
    {"timeline/timeline.js", file_82, sizeof file_82},
};

const web_file *web_file_at(size_t index) {
    return index < sizeof files / sizeof files[0] ? &files[index] : NULL;
}
