// OLE drag and drop, as the source.
#ifdef _WIN32

#include "desktop/file_drag.hpp"

#include <filesystem>

#include <ole2.h>
#include <shlobj.h>

#include <atomic>
#include <cstring>

namespace audioldm {

namespace {

/** Counts its owners, as every COM object does. */
template <class Interface>
class ComObject : public Interface {
  public:
    virtual ~ComObject() = default;
    ULONG STDMETHODCALLTYPE AddRef() override { return ++owners_; }
    ULONG STDMETHODCALLTYPE Release() override {
        const ULONG left = --owners_;
        if (left == 0)
            delete this;
        return left;
    }
    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID id, void** object) override {
        *object = id == IID_IUnknown || id == __uuidof(Interface) ? this : nullptr;
        if (*object == nullptr)
            return E_NOINTERFACE;
        AddRef();
        return S_OK;
    }

  private:
    std::atomic<ULONG> owners_{1};
};

class DropSource : public ComObject<IDropSource> {
  public:
    HRESULT STDMETHODCALLTYPE QueryContinueDrag(BOOL escape, DWORD keys) override {
        if (escape)
            return DRAGDROP_S_CANCEL;
        return (keys & MK_LBUTTON) != 0 ? S_OK : DRAGDROP_S_DROP;
    }
    HRESULT STDMETHODCALLTYPE GiveFeedback(DWORD) override { return DRAGDROP_S_USEDEFAULTCURSORS; }
};

FORMATETC fileFormat() {
    return {CF_HDROP, nullptr, DVASPECT_CONTENT, -1, TYMED_HGLOBAL};
}

/** One file, as Explorer hands it over. */
class FileData : public ComObject<IDataObject> {
  public:
    explicit FileData(std::wstring path) : path_(std::move(path)) {}

    HRESULT STDMETHODCALLTYPE GetData(FORMATETC* format, STGMEDIUM* medium) override {
        if (QueryGetData(format) != S_OK)
            return DV_E_FORMATETC;
        // The name, the zero that ends it, and another one that ends the list.
        const std::size_t bytes = (path_.size() + 2) * sizeof(wchar_t);
        HGLOBAL memory = GlobalAlloc(GHND, sizeof(DROPFILES) + bytes);
        if (memory == nullptr)
            return E_OUTOFMEMORY;
        auto* files = static_cast<DROPFILES*>(GlobalLock(memory));
        files->pFiles = sizeof(DROPFILES);
        files->fWide = TRUE;
        std::memcpy(files + 1, path_.c_str(), path_.size() * sizeof(wchar_t));
        GlobalUnlock(memory);
        medium->tymed = TYMED_HGLOBAL;
        medium->hGlobal = memory;
        medium->pUnkForRelease = nullptr;
        return S_OK;
    }
    HRESULT STDMETHODCALLTYPE QueryGetData(FORMATETC* format) override {
        const bool ours = format->cfFormat == CF_HDROP && (format->tymed & TYMED_HGLOBAL) != 0;
        return ours ? S_OK : DV_E_FORMATETC;
    }
    HRESULT STDMETHODCALLTYPE EnumFormatEtc(DWORD direction, IEnumFORMATETC** formats) override {
        if (direction != DATADIR_GET)
            return E_NOTIMPL;
        FORMATETC format = fileFormat();
        return SHCreateStdEnumFmtEtc(1, &format, formats);
    }
    HRESULT STDMETHODCALLTYPE GetDataHere(FORMATETC*, STGMEDIUM*) override { return E_NOTIMPL; }
    HRESULT STDMETHODCALLTYPE GetCanonicalFormatEtc(FORMATETC*, FORMATETC*) override {
        return E_NOTIMPL;
    }
    HRESULT STDMETHODCALLTYPE SetData(FORMATETC*, STGMEDIUM*, BOOL) override { return E_NOTIMPL; }
    HRESULT STDMETHODCALLTYPE DAdvise(FORMATETC*, DWORD, IAdviseSink*, DWORD*) override {
        return OLE_E_ADVISENOTSUPPORTED;
    }
    HRESULT STDMETHODCALLTYPE DUnadvise(DWORD) override { return OLE_E_ADVISENOTSUPPORTED; }
    HRESULT STDMETHODCALLTYPE EnumDAdvise(IEnumSTATDATA**) override {
        return OLE_E_ADVISENOTSUPPORTED;
    }

  private:
    const std::wstring path_;
};

} // namespace

struct FileDrag::Implementation {
    const bool hasOle = SUCCEEDED(OleInitialize(nullptr));

    ~Implementation() {
        if (hasOle)
            OleUninitialize();
    }
};

FileDrag::FileDrag(std::uintptr_t) : implementation_(new Implementation) {}

FileDrag::~FileDrag() = default;

/** Returns when the button is released: Windows runs the drag in a loop of its own. */
bool FileDrag::begin(const std::string& path) {
    if (!implementation_->hasOle)
        return false;
    auto* data = new FileData(std::filesystem::u8path(path).make_preferred().wstring());
    auto* source = new DropSource;
    DWORD effect = 0;
    DoDragDrop(data, source, DROPEFFECT_COPY, &effect);
    source->Release();
    data->Release();
    return true;
}

} // namespace audioldm

#endif
