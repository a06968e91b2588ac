//! Phosphor icons by name: one code point, three faces.
//!
//! The font files in `assets/fonts` hold exactly the code points listed here;
//! after adding one, run `scripts/freeze-tabular-figures.py`.

use egui::{Color32, FontFamily, FontId, RichText};

/// One icon; the same code point in the regular, bold and fill face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icon(pub char);

/// The three faces in use: regular everywhere, bold for the current page,
/// fill for severities and verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    Regular,
    Bold,
    Fill,
}

impl Face {
    pub const ALL: [Self; 3] = [Self::Regular, Self::Bold, Self::Fill];

    pub fn family(self) -> FontFamily {
        FontFamily::Name(self.name().into())
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Regular => "phosphor",
            Self::Bold => "phosphor-bold",
            Self::Fill => "phosphor-fill",
        }
    }
}

impl Icon {
    /// The icon as text of the regular face. `size` is 12, 14, 16 or 20 points
    /// (32 in an empty page).
    pub fn text(self, size: f32, color: Color32) -> RichText {
        self.face(Face::Regular, size, color)
    }

    pub fn bold(self, size: f32, color: Color32) -> RichText {
        self.face(Face::Bold, size, color)
    }

    pub fn fill(self, size: f32, color: Color32) -> RichText {
        self.face(Face::Fill, size, color)
    }

    pub fn face(self, face: Face, size: f32, color: Color32) -> RichText {
        RichText::new(self.0.to_string()).font(FontId::new(size, face.family())).color(color)
    }
}

macro_rules! icons {
    ($($name:ident = $code:literal, $word:literal;)*) => {
        $(#[doc = $word] pub const $name: Icon = Icon($code);)*
        /// Every icon with its Phosphor name.
        pub const ALL: &[(&str, Icon)] = &[$(($word, $name)),*];
    };
}

icons! {
    ACTIVITY = '\u{e000}', "activity";
    ARCHIVE = '\u{e00c}', "archive";
    ARROW_CLOCKWISE = '\u{e036}', "arrow-clockwise";
    ARROW_COUNTER_CLOCKWISE = '\u{e038}', "arrow-counter-clockwise";
    ARROW_DOWN = '\u{e03e}', "arrow-down";
    ARROW_DOWN_RIGHT = '\u{e042}', "arrow-down-right";
    ARROW_ELBOW_DOWN_RIGHT = '\u{e046}', "arrow-elbow-down-right";
    ARROW_LEFT = '\u{e058}', "arrow-left";
    ARROW_LINE_DOWN = '\u{e05c}', "arrow-line-down";
    ARROW_LINE_UP = '\u{e066}', "arrow-line-up";
    ARROW_RIGHT = '\u{e06c}', "arrow-right";
    ARROW_SQUARE_OUT = '\u{e5de}', "arrow-square-out";
    ARROW_UP = '\u{e08e}', "arrow-up";
    ARROW_UP_RIGHT = '\u{e092}', "arrow-up-right";
    ARROWS_CLOCKWISE = '\u{e094}', "arrows-clockwise";
    ARROWS_DOWN_UP = '\u{e098}', "arrows-down-up";
    ARROWS_LEFT_RIGHT = '\u{e0a0}', "arrows-left-right";
    BELL = '\u{e0ce}', "bell";
    BELL_SLASH = '\u{e0d4}', "bell-slash";
    BOOK_OPEN = '\u{e0e6}', "book-open";
    BRACKETS_CURLY = '\u{e860}', "brackets-curly";
    BROWSER = '\u{e0f4}', "browser";
    BUG = '\u{e5f4}', "bug";
    CALENDAR_BLANK = '\u{e10a}', "calendar-blank";
    CAMERA = '\u{e10e}', "camera";
    CARET_DOWN = '\u{e136}', "caret-down";
    CARET_LEFT = '\u{e138}', "caret-left";
    CARET_RIGHT = '\u{e13a}', "caret-right";
    CARET_UP = '\u{e13c}', "caret-up";
    CARET_UP_DOWN = '\u{e140}', "caret-up-down";
    CERTIFICATE = '\u{e766}', "certificate";
    CHART_BAR = '\u{e150}', "chart-bar";
    CHART_BAR_HORIZONTAL = '\u{e152}', "chart-bar-horizontal";
    CHART_LINE = '\u{e154}', "chart-line";
    CHART_LINE_DOWN = '\u{e8b6}', "chart-line-down";
    CHART_LINE_UP = '\u{e156}', "chart-line-up";
    CHECK = '\u{e182}', "check";
    CHECK_CIRCLE = '\u{e184}', "check-circle";
    CHECK_SQUARE = '\u{e186}', "check-square";
    CIRCLE = '\u{e18a}', "circle";
    CIRCLE_DASHED = '\u{e602}', "circle-dashed";
    CIRCLE_NOTCH = '\u{eb44}', "circle-notch";
    CLIPBOARD_TEXT = '\u{e198}', "clipboard-text";
    CLOCK = '\u{e19a}', "clock";
    CLOCK_COUNTER_CLOCKWISE = '\u{e1a0}', "clock-counter-clockwise";
    CLOUD = '\u{e1aa}', "cloud";
    CLOUD_SLASH = '\u{e1b6}', "cloud-slash";
    CODE = '\u{e1bc}', "code";
    COMMAND = '\u{e1c4}', "command";
    COPY = '\u{e1ca}', "copy";
    COPY_SIMPLE = '\u{e1cc}', "copy-simple";
    CPU = '\u{e610}', "cpu";
    CUBE = '\u{e1da}', "cube";
    CURRENCY_CIRCLE_DOLLAR = '\u{e54c}', "currency-circle-dollar";
    CURSOR = '\u{e1dc}', "cursor";
    DATABASE = '\u{e1de}', "database";
    DESKTOP = '\u{e560}', "desktop";
    DIAMOND = '\u{e1ec}', "diamond";
    DOT_OUTLINE = '\u{ece0}', "dot-outline";
    DOTS_THREE = '\u{e1fe}', "dots-three";
    DOTS_THREE_VERTICAL = '\u{e208}', "dots-three-vertical";
    DOWNLOAD_SIMPLE = '\u{e20c}', "download-simple";
    ENVELOPE_SIMPLE = '\u{e218}', "envelope-simple";
    ERASER = '\u{e21e}', "eraser";
    EXPORT = '\u{eaf0}', "export";
    EYE = '\u{e220}', "eye";
    EYE_SLASH = '\u{e224}', "eye-slash";
    FILE = '\u{e230}', "file";
    FILE_ARROW_DOWN = '\u{e232}', "file-arrow-down";
    FILE_CODE = '\u{e914}', "file-code";
    FILE_CSV = '\u{eb1c}', "file-csv";
    FILE_HTML = '\u{eb38}', "file-html";
    FILE_PDF = '\u{e702}', "file-pdf";
    FILE_TEXT = '\u{e23a}', "file-text";
    FILES = '\u{e710}', "files";
    FLAG = '\u{e244}', "flag";
    FLASK = '\u{e79e}', "flask";
    FLOPPY_DISK = '\u{e248}', "floppy-disk";
    FOLDER = '\u{e24a}', "folder";
    FOLDER_OPEN = '\u{e256}', "folder-open";
    FOLDER_SIMPLE = '\u{e25a}', "folder-simple";
    FUNNEL = '\u{e266}', "funnel";
    FUNNEL_SIMPLE = '\u{e268}', "funnel-simple";
    GAUGE = '\u{e628}', "gauge";
    GEAR = '\u{e270}', "gear";
    GEAR_SIX = '\u{e272}', "gear-six";
    GIT_BRANCH = '\u{e278}', "git-branch";
    GIT_DIFF = '\u{e27c}', "git-diff";
    GLOBE = '\u{e288}', "globe";
    HARD_DRIVES = '\u{e2a0}', "hard-drives";
    HASH = '\u{e2a2}', "hash";
    HEARTBEAT = '\u{e2ac}', "heartbeat";
    HEXAGON = '\u{e2ae}', "hexagon";
    HOUSE = '\u{e2c2}', "house";
    IMAGE = '\u{e2ca}', "image";
    IMAGES = '\u{e836}', "images";
    INFO = '\u{e2ce}', "info";
    KEY = '\u{e2d6}', "key";
    KEY_RETURN = '\u{e782}', "key-return";
    KEYBOARD = '\u{e2d8}', "keyboard";
    LIGHTBULB = '\u{e2dc}', "lightbulb";
    LIGHTNING = '\u{e2de}', "lightning";
    LINK = '\u{e2e2}', "link";
    LIST = '\u{e2f0}', "list";
    LIST_BULLETS = '\u{e2f2}', "list-bullets";
    LIST_CHECKS = '\u{eadc}', "list-checks";
    LIST_DASHES = '\u{e2f4}', "list-dashes";
    LIST_NUMBERS = '\u{e2f6}', "list-numbers";
    LOCK = '\u{e2fa}', "lock";
    LOCK_KEY = '\u{e2fe}', "lock-key";
    LOCK_OPEN = '\u{e306}', "lock-open";
    LOCK_SIMPLE = '\u{e308}', "lock-simple";
    MAGNIFYING_GLASS = '\u{e30c}', "magnifying-glass";
    MAGNIFYING_GLASS_MINUS = '\u{e30e}', "magnifying-glass-minus";
    MAGNIFYING_GLASS_PLUS = '\u{e310}', "magnifying-glass-plus";
    MARKDOWN_LOGO = '\u{e508}', "markdown-logo";
    MINUS = '\u{e32a}', "minus";
    MINUS_CIRCLE = '\u{e32c}', "minus-circle";
    MONITOR = '\u{e32e}', "monitor";
    MOON = '\u{e330}', "moon";
    NOTE = '\u{e348}', "note";
    NOTE_PENCIL = '\u{e34c}', "note-pencil";
    OCTAGON = '\u{e38e}', "octagon";
    PACKAGE = '\u{e390}', "package";
    PATH = '\u{e39c}', "path";
    PAUSE = '\u{e39e}', "pause";
    PENCIL_SIMPLE = '\u{e3b4}', "pencil-simple";
    PERCENT = '\u{e3b6}', "percent";
    PLAY = '\u{e3d0}', "play";
    PLAY_CIRCLE = '\u{e3d2}', "play-circle";
    PLUG = '\u{e946}', "plug";
    PLUG_CHARGING = '\u{eb5c}', "plug-charging";
    PLUGS = '\u{eb56}', "plugs";
    PLUGS_CONNECTED = '\u{eb5a}', "plugs-connected";
    PLUS = '\u{e3d4}', "plus";
    PLUS_CIRCLE = '\u{e3d6}', "plus-circle";
    PRINTER = '\u{e3dc}', "printer";
    PROHIBIT = '\u{e3de}', "prohibit";
    PULSE = '\u{e000}', "pulse";
    PUSH_PIN = '\u{e3e2}', "push-pin";
    QUESTION = '\u{e3e8}', "question";
    QUESTION_MARK = '\u{e3e9}', "question-mark";
    QUEUE = '\u{e6ac}', "queue";
    RANKING = '\u{ed62}', "ranking";
    RECEIPT = '\u{e3ec}', "receipt";
    ROCKET_LAUNCH = '\u{e3fe}', "rocket-launch";
    ROWS = '\u{e5a2}', "rows";
    SCALES = '\u{e750}', "scales";
    SEAL_CHECK = '\u{e606}', "seal-check";
    SEAL_WARNING = '\u{e60c}', "seal-warning";
    SHARE_NETWORK = '\u{e408}', "share-network";
    SHIELD = '\u{e40a}', "shield";
    SHIELD_CHECK = '\u{e40c}', "shield-check";
    SHIELD_WARNING = '\u{e412}', "shield-warning";
    SHOPPING_CART = '\u{e41e}', "shopping-cart";
    SIDEBAR_SIMPLE = '\u{ec24}', "sidebar-simple";
    SIGN_IN = '\u{e428}', "sign-in";
    SIGN_OUT = '\u{e42a}', "sign-out";
    SLIDERS = '\u{e432}', "sliders";
    SLIDERS_HORIZONTAL = '\u{e434}', "sliders-horizontal";
    SORT_ASCENDING = '\u{e444}', "sort-ascending";
    SORT_DESCENDING = '\u{e446}', "sort-descending";
    SPINNER = '\u{e66a}', "spinner";
    SPINNER_GAP = '\u{e66c}', "spinner-gap";
    SQUARE = '\u{e45e}', "square";
    STACK = '\u{e466}', "stack";
    STOP = '\u{e46c}', "stop";
    STOP_CIRCLE = '\u{e46e}', "stop-circle";
    STOREFRONT = '\u{e470}', "storefront";
    SUN = '\u{e472}', "sun";
    SWAP = '\u{e83c}', "swap";
    TABLE = '\u{e476}', "table";
    TAG = '\u{e478}', "tag";
    TARGET = '\u{e47c}', "target";
    TERMINAL = '\u{e47e}', "terminal";
    TERMINAL_WINDOW = '\u{eae8}', "terminal-window";
    THERMOMETER = '\u{e5c6}', "thermometer";
    THUMBS_UP = '\u{e48e}', "thumbs-up";
    TIMER = '\u{e492}', "timer";
    TOGGLE_LEFT = '\u{e674}', "toggle-left";
    TOGGLE_RIGHT = '\u{e676}', "toggle-right";
    TRASH = '\u{e4a6}', "trash";
    TRAY = '\u{e4aa}', "tray";
    TREE_STRUCTURE = '\u{e67c}', "tree-structure";
    TREND_DOWN = '\u{e4ac}', "trend-down";
    TREND_UP = '\u{e4ae}', "trend-up";
    TRIANGLE = '\u{e4b0}', "triangle";
    UPLOAD_SIMPLE = '\u{e4c0}', "upload-simple";
    USER = '\u{e4c2}', "user";
    USERS = '\u{e4d6}', "users";
    VAULT = '\u{e76e}', "vault";
    WALL = '\u{e688}', "wall";
    WARNING = '\u{e4e0}', "warning";
    WARNING_CIRCLE = '\u{e4e2}', "warning-circle";
    WARNING_DIAMOND = '\u{e7fc}', "warning-diamond";
    WARNING_OCTAGON = '\u{e4e4}', "warning-octagon";
    WIFI_HIGH = '\u{e4ea}', "wifi-high";
    WIFI_SLASH = '\u{e4f2}', "wifi-slash";
    WRENCH = '\u{e5d4}', "wrench";
    X = '\u{e4f6}', "x";
    X_CIRCLE = '\u{e4f8}', "x-circle";
    X_SQUARE = '\u{e4fa}', "x-square";
}
